"""What all figures share: colours, the empty figure, what stands around it, its file."""

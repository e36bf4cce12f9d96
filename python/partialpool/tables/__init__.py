"""Tables of several fits side by side, for papers and slides."""

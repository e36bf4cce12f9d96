"""Reports: one page of HTML that says what was fitted and found, and works without a network."""

"""What a run says when one looks at it from afar: profiles, and how often luck finds a bug."""

"""What runs say when one looks at them from afar: profiles, how often luck finds a bug, which lock protects what."""

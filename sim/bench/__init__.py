"""Benchmarks: what is measured (measure), and the protocol on which checkers race each other (protocol, spin)."""

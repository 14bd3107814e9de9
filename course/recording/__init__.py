"""Recording a real kernel: a program that moves its own pages, and what records it.  See README.md in this folder."""

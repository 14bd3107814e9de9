"""Linux 4.14: a huge page migrates whole, under one migration entry in the page directory (616b8371539a).

Only what that took, on the 3.8 kernel; no tree of 4.14 is at hand, so a docstring names the change and its file and no
line.  What the kernel calls the lock of a page directory's page (``pmd_lock``) is page_table_lock here, as in 3.8.
"""

"""Flushes that are put off: many pages are unmapped, then every TLB drops them in one round.  On the 3.7 kernel.

Two things are here.  The batch of a task, and what others must do about it, came for reclaim with 72b252aed506 (v4.3)
and 3ea277194daa (v4.13); no tree of either is at hand, so a docstring names the change and its file and no line.
Migration in batches is a construction of ours, which does what the mail of 1 December 2012 wished for; v6.3 has it in
another form (7e12beb8ca2a).

The rules, each of which a world holds by (``python -m sim check write_during_copy~B1 --variant batch_2mb``):

* B1: a frame is copied after every CPU that could write to it has dropped it;
* B2: a frame is freed after every CPU has dropped it;
* B3: a frame is written out after every CPU that could write to it has dropped it;
* B4: a page is mapped elsewhere after every CPU has dropped where it was, also those that could only read there;
* B5: who changes PTEs flushes first what others have cleared there and not yet flushed;
* B6: reclaim within reclaim goes on with the batch, and does not begin it anew;
* B7: who holds a page lock only tries to get another.
"""

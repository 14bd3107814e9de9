"""What of Linux 6.3 differs from 6.1 and matters for moving pages: batches.

Taken from the sources under the tag v6.3, of which no tree is at hand.  Pages are unmapped without a flush, flushed in
one round, then copied and mapped again (7e12beb8ca2a), with only what can be had at once (fb3592c41a44, 2ef7dbb26990);
what does not go that way goes singly.  Others flush what is pending where they change PTEs (3ea277194daa, v4.13).
"""

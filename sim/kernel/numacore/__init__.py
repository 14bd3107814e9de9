"""numa/core v18, the tree that the seed was measured on: NUMA faults as posted on 30 November 2012."""

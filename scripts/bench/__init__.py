"""`make bench`: block layers timed beside what one would use instead."""

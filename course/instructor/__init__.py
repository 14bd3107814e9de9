"""For instructors: the guide, transcripts of the lessons, and solutions with the wrong answers to expect."""

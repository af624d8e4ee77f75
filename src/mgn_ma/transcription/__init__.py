"""What is said in videos that have no captions, written beside them as captions."""

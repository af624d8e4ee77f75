"""The networks that are trained. Pure torch: no files, no configuration beyond their own."""

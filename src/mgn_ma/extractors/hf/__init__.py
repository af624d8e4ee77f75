"""Features by any encoder of transformers: of images, sound, texts (the paper's BERT, section 2.1.2) and clips."""

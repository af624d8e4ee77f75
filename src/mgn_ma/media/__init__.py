"""Files in, arrays out: video, audio, subtitles, probing. Nothing learned lives here."""

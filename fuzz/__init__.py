"""Coverage-guided fuzzing, for `script/fuzz`: never part of the image, nor of the timed tests."""

"""Publishing what people read."""

"""Class activation maps, the ten-crop merge, and their colours."""

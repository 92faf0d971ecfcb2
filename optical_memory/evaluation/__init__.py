"""What a memory still offers of a conversation: measured on questions whose evidence is known, without a model."""

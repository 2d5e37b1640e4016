"""Text on the disk becomes tokens, and tokens become batches. No torch, no network."""

"""What errors, notes and the doctor say: one file a theme, joined in `gradcam.messages.catalogue`."""

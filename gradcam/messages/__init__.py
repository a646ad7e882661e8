"""What errors, warnings and the doctor say: one file a theme, joined in `gradcam.messages.findings`."""

"""What the subcommands are made of: finding photographs and models, running, writing, printing."""

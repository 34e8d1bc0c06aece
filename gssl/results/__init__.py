"""What a run leaves behind: its folder, its environment, its summary and its rows in the store."""

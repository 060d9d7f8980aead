"""What a scan tells: tables, pages, playlists and pictures."""

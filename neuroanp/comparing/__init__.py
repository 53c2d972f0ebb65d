"""Run many configurations side by side: profiles x rules x seeds."""

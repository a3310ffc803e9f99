"""Reading and writing videos: through OpenCV, or through the program ffmpeg."""

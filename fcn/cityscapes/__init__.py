"""The FCN score of pix2pix and CycleGAN: what a segmentation net makes of generated street scenes."""

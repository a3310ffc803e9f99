"""The layouts of the other data sets of the paper: NYUDv2, SIFT Flow, PASCAL-Context. Import no caffe."""

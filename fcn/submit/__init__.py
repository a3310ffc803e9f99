"""Predictions as PASCAL VOC's evaluation server wants them."""

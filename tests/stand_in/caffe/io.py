"""Nothing of `caffe.io` is needed to import the toolkit."""

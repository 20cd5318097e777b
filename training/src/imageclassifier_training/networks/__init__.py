"""Networks: backbones with ImageNet weights, the linear head, and the weights that training changed."""

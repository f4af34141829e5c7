"""Networks that diffusers and torchvision lack. Knows no disk, no data, no training."""

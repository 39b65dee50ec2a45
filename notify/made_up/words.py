"""What its runs wrote."""

_BAR = (
    b"\r epoch 309/400  [\x1b[32m==================>     \x1b[0m]  77 %"
    b"\r epoch 310/400  [\x1b[32m==================>     \x1b[0m]  78 %\n"
)
TRAINING = b"".join(
    b"\x1b[2m2026-01-09 20:%02d:%02d\x1b[0m epoch %d: train_loss %.4f  val_loss %.4f  lr 0.0097\n"
    % (epoch // 60 % 60, epoch % 60, epoch, 0.30 - epoch * 0.0007, 0.32 - epoch * 0.0004)
    for epoch in range(268, 310)
)
OUT_OF_MEMORY = (
    _BAR
    + b"""writing predictions for 38,000 tweets
Traceback (most recent call last):
  File "/home/ada/weather/train.py", line 212, in <module>
    main()
  File "/home/ada/weather/train.py", line 197, in main
    table = np.concatenate([table, activations(network, tweets)])
  File "/home/ada/weather/network.py", line 88, in activations
    return np.stack([layer(step) for step in sequence], dtype="float64")
numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1.73 GiB for an array with shape (38000, 41, 150)
"""
)
DISK_FULL = (
    _BAR
    + b"""Traceback (most recent call last):
  File "/home/ada/weather/train.py", line 160, in save
    np.savez(target, **weights)
OSError: [Errno 28] No space left on device: 'checkpoints/epoch-310.npz'
"""
)

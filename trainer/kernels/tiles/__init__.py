"""Products of matrices and functions of rows, in vector code for the processor at hand.

The rooms' doors: `memory` has pointers, `products` whole matrix products, `vectors` vectors as values in kernels,
`functions` exp, tanh and the like. Behind them: `shape` chooses the width of vectors and the size of tiles, `emit`
writes the instructions.
"""

# SPDX-License-Identifier: Apache-2.0
#
# Files that NumPy writes are read, and files that we write are read by NumPy:
#   npy_numpy.py TEST_NPY
# Exit code 77: no NumPy here.
import itertools, subprocess, sys, tempfile, os

try:
    import numpy as np
except ImportError:
    print("NumPy is not installed: skipped")
    sys.exit(77)

program = sys.argv[1]
checked = 0
rng = np.random.default_rng(7)
with tempfile.TemporaryDirectory() as folder:
    source, target = os.path.join(folder, "in.npy"), os.path.join(folder, "out.npy")
    shapes = [(1, 1), (3, 4), (1, 17), (17, 1), (37, 53), (0, 3), (3, 0), (5,)]
    for dtype, order, version, shape in itertools.product(
            ["<f4", ">f4", "<f8", ">f8"], "CF", [(1, 0), (2, 0), (3, 0)], shapes):
        array = np.asarray(rng.standard_normal(shape), dtype=dtype, order=order)
        if array.size > 2:
            array.flat[1], array.flat[2] = np.nan, -np.inf
        with open(source, "wb") as f:
            np.lib.format.write_array(f, array, version=version)
        subprocess.run([program, source, target], check=True, timeout=30)
        back = np.load(target)
        wanted = array.reshape(1, -1) if array.ndim == 1 else array
        assert back.dtype == np.dtype("<" + dtype[1:]), (dtype, back.dtype)
        assert back.flags["C_CONTIGUOUS"]
        assert back.shape == wanted.shape, (shape, back.shape)
        assert np.array_equal(back, wanted, equal_nan=True), (dtype, order, version, shape)
        checked += 1
    for bad in [np.zeros((2, 2), "<i4"), np.zeros((2, 2), "<f2"), np.zeros((2, 2), "<c8"),
                np.zeros((2, 2, 2), "<f4"), np.float32(3), np.zeros(2, [("a", "<f4")]),
                np.array([["x"]])]:
        np.save(source, bad)
        result = subprocess.run([program, source, target], capture_output=True, timeout=30)
        assert result.returncode == 3 and result.stderr, (bad, result)
        checked += 1
print(f"{checked} files")
assert checked == 199

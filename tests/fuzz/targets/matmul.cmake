# The readers of matmul/.
tessera_add_fuzzer(npy SOURCES fuzz_npy.c LIBRARIES tessera-matmul)
tessera_add_fuzzer(mtx SOURCES fuzz_mtx.c LIBRARIES tessera-matmul)
tessera_add_fuzzer(journal SOURCES fuzz_journal.c LIBRARIES tessera-matmul)

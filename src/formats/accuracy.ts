/**
 * What products of weights read of their input: its numbers as they are (`exact`), or in blocks of 32 signed bytes with a
 * scale (`int8`), where the matrix's format has blocks of integers.
 */
export const accuracies = ["exact", "int8"] as const;
export type Accuracy = (typeof accuracies)[number];

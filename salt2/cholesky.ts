/**
 * Factorise a symmetric matrix in place (lower triangle, row by row). False where it is not positive
 * definite: a pivot is less than 1e-13 of what it was.
 */
export function factorise(matrix: Float64Array, n: number): boolean {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const diagonal = matrix[i * n + j] ?? 0
      let sum = diagonal
      for (let k = 0; k < j; k++) sum -= (matrix[i * n + k] ?? 0) * (matrix[j * n + k] ?? 0)
      if (i === j) {
        if (!(sum > 1e-13 * diagonal) || !(sum > 0)) return false
        matrix[i * n + i] = Math.sqrt(sum)
      } else {
        matrix[i * n + j] = sum / (matrix[j * n + j] ?? 0)
      }
    }
  }
  return true
}

/** Solve in place, by a factorised matrix. */
export function solve(factor: Float64Array, n: number, vector: Float64Array): void {
  for (let i = 0; i < n; i++) {
    let sum = vector[i] ?? 0
    for (let k = 0; k < i; k++) sum -= (factor[i * n + k] ?? 0) * (vector[k] ?? 0)
    vector[i] = sum / (factor[i * n + i] ?? 0)
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = vector[i] ?? 0
    for (let k = i + 1; k < n; k++) sum -= (factor[k * n + i] ?? 0) * (vector[k] ?? 0)
    vector[i] = sum / (factor[i * n + i] ?? 0)
  }
}

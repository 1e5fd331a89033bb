/** Distances in a flat universe, H0 = 70 km/s/Mpc, matter 0.3, to 1 % below z = 0.2. */

/** Distance modulus, mag. */
export function distanceModulus(z: number): number {
  return 5 * Math.log10(luminosityDistance(z)) + 25
}

/** Mpc. Expansion in z with deceleration -0.55 and jerk 1 (Weinberg 1972; Visser 2004). */
export function luminosityDistance(z: number): number {
  const q = -0.55
  return (299792.458 / 70) * (z + ((1 - q) * z * z) / 2 - ((2 - q - 3 * q * q) * z ** 3) / 6)
}

/** Arcsec that a length in kpc spans at a redshift. */
export function arcsecOfKpc(kpc: number, z: number): number {
  const angular = luminosityDistance(z) / (1 + z) ** 2
  return (kpc / 1000 / angular) * 206264.8
}

//! The splitmix64 sequence (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).

/// The first `n` bytes that the seed gives: the numbers of the splitmix64 sequence one after the other, each with its
/// lowest byte first.
#[must_use]
pub fn random_bytes(n: usize, seed: u64) -> Vec<u8> {
    random_bytes_from(0, n, seed)
}

/// So many bytes from the given number of the sequence on. No number depends on the one before, so that a long output
/// can be made piece by piece.
pub(crate) fn random_bytes_from(first_word: u64, n: usize, seed: u64) -> Vec<u8> {
    (first_word..).flat_map(|index| word(seed, index).to_le_bytes()).take(n).collect()
}

fn word(seed: u64, index: u64) -> u64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(GAMMA));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers for the seed 1234567, as the reference implementation by Sebastiano Vigna gives them.
    #[test]
    fn the_sequence_is_splitmix64() {
        let expected: [u64; 5] = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        let bytes: Vec<u8> = expected.iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(random_bytes(40, 1_234_567), bytes);
        assert_eq!(random_bytes(13, 1_234_567), bytes[..13]);
    }

    #[test]
    fn all_values_occur() {
        let mut seen = [false; 256];
        for byte in random_bytes(8_192, 7) {
            seen[usize::from(byte)] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    #[test]
    fn pieces_make_the_whole() {
        let mut pieces = random_bytes_from(0, 16, 3);
        pieces.extend(random_bytes_from(2, 9, 3));
        assert_eq!(pieces, random_bytes(25, 3));
    }
}

//! Arithmetic of embeddings: vectors of unit length, compared by their cosine.

/// The cosine of two vectors of unit length and equally many numbers: in 64 bits, which hold the product of two 32-bit numbers exactly.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// The vector of a user: the direction of the mean of its faces' vectors, which all have unit length. `None` without faces, or
/// when they cancel out.
pub fn mean_direction(embeddings: &[Vec<f32>]) -> Option<Vec<f32>> {
    let sum = sum_of(embeddings, embeddings.first()?.len());
    let length = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
    (length > 1e-6).then(|| sum.iter().map(|v| (v / length) as f32).collect())
}

/// How much each of these vectors, which all have unit length, resembles the others: the average cosine to them. 1 for one that is alone.
///
/// The sum of a vector's cosines to all is its product with the sum of all vectors, so this takes one pass and not one for each pair.
pub fn average_cosines(embeddings: &[Vec<f32>]) -> Vec<f64> {
    let [first, _, ..] = embeddings else { return vec![1.0; embeddings.len()] };
    let sum = sum_of(embeddings, first.len());
    let to_others = |embedding: &Vec<f32>| {
        let to_all: f64 = sum.iter().zip(embedding).map(|(total, value)| total * f64::from(*value)).sum();
        (to_all - cosine(embedding, embedding)) / (embeddings.len() - 1) as f64
    };
    embeddings.iter().map(to_others).collect()
}

/// The sum of vectors of this length, in 64 bits.
fn sum_of(embeddings: &[Vec<f32>], length: usize) -> Vec<f64> {
    let mut sum = vec![0.0f64; length];
    for embedding in embeddings {
        sum.iter_mut().zip(embedding).for_each(|(total, value)| *total += f64::from(*value));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{average_cosines, mean_direction};

    #[test]
    fn a_vector_is_compared_with_all_others_and_not_with_itself() {
        assert!(average_cosines(&[]).is_empty());
        assert_eq!(average_cosines(&[vec![0.0, 1.0]]), [1.0]);
        assert_eq!(average_cosines(&[vec![0.0, 1.0], vec![1.0, 0.0], vec![0.0, 1.0]]), [0.5, 0.0, 0.5]);
    }

    #[test]
    fn a_users_vector_is_the_mean_direction_of_its_faces() {
        assert_eq!(mean_direction(&[]), None);
        assert_eq!(mean_direction(&[vec![0.0, 1.0]]), Some(vec![0.0, 1.0]));
        let half = 0.5f32.sqrt();
        assert_eq!(mean_direction(&[vec![0.0, 1.0], vec![1.0, 0.0]]), Some(vec![half, half]));
        assert_eq!(mean_direction(&[vec![1.0, 0.0], vec![-1.0, 0.0]]), None);
    }
}

//! Groups of members that resemble one another, found by Chinese whispers.
//!
//! Members are the nodes of a graph, and resemblances its edges. Each node begins as a group of its own. Then each in turn joins the group
//! that its neighbours resemble it most for, all weights of a group's neighbours added up, until nobody moves. (C. Biemann, "Chinese
//! Whispers: an efficient graph clustering algorithm", TextGraphs 2006.) The paper's order is drawn at random. Here it is the nodes' own,
//! and of groups with equal weights the smaller one is taken, so that the same graph gives the same groups.

use std::collections::HashMap;

/// Nodes may swing between two groups for ever.
const MOST_ROUNDS: usize = 30;

/// An undirected graph of nodes 0 to n - 1.
#[derive(Debug, Default)]
pub struct Graph {
    edges: Vec<Vec<(u32, f32)>>,
}

impl Graph {
    /// The graph in which each node has these neighbours, with weights above zero. Who is somebody's neighbour has that one as a neighbour.
    pub fn of(mut neighbours: Vec<Vec<(u32, f32)>>) -> Self {
        let given: Vec<usize> = neighbours.iter().map(Vec::len).collect();
        for node in 0..neighbours.len() {
            for place in 0..given[node] {
                let (other, weight) = neighbours[node][place];
                neighbours[other as usize].push((node as u32, weight));
            }
        }
        for edges in &mut neighbours {
            edges.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
            edges.dedup_by_key(|(other, _)| *other);
        }
        Self { edges: neighbours }
    }

    /// The groups, each with its nodes in ascending order: from larger to smaller, and of equally large ones the one with the first node
    /// before the others. Every node is in one of them.
    pub fn groups(&self) -> Vec<Vec<u32>> {
        let mut group_of: Vec<u32> = (0..self.edges.len() as u32).collect();
        for _ in 0..MOST_ROUNDS {
            let mut moved = false;
            for node in 0..group_of.len() {
                let next = self.strongest(node, &group_of);
                moved |= std::mem::replace(&mut group_of[node], next) != next;
            }
            if !moved {
                break;
            }
        }
        let mut groups: HashMap<u32, Vec<u32>> = HashMap::new();
        for (node, group) in (0u32..).zip(group_of) {
            groups.entry(group).or_default().push(node);
        }
        let mut groups: Vec<Vec<u32>> = groups.into_values().collect();
        groups.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a[0].cmp(&b[0])));
        groups
    }

    fn strongest(&self, node: usize, group_of: &[u32]) -> u32 {
        let mut weights: Vec<(u32, f64)> =
            self.edges[node].iter().map(|(other, weight)| (group_of[*other as usize], f64::from(*weight))).collect();
        weights.sort_unstable_by_key(|(group, _)| *group);
        weights.dedup_by(|next, sum| {
            let is_same = next.0 == sum.0;
            if is_same {
                sum.1 += next.1;
            }
            is_same
        });
        let strongest = weights.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
        strongest.map_or(group_of[node], |(group, _)| group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_resemble_one_another_are_together_and_a_weak_tie_joins_nobody() {
        let strong = 0.8;
        let graph = Graph::of(vec![
            vec![(2, strong), (4, strong)],
            vec![(3, strong), (4, 0.4)],
            vec![(4, strong)],
            vec![],
            vec![],
            vec![],
        ]);
        assert_eq!(graph.groups(), [vec![0, 2, 4], vec![1, 3], vec![5]]);
        assert!(Graph::of(Vec::new()).groups().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn every_node_is_in_one_group_and_groups_have_no_edge_to_nowhere(
            edges in proptest::collection::vec((0u32..60, 0u32..60, 0.1f32..1.0), 0..300)
        ) {
            let mut neighbours = vec![Vec::new(); 60];
            for (a, b, weight) in edges.into_iter().filter(|(a, b, _)| a != b) {
                neighbours[a as usize].push((b, weight));
            }
            let graph = Graph::of(neighbours.clone());
            let groups = graph.groups();
            let mut nodes = groups.concat();
            nodes.sort_unstable();
            proptest::prop_assert_eq!(nodes, (0..60).collect::<Vec<_>>());
            proptest::prop_assert_eq!(&groups, &Graph::of(neighbours).groups(), "the same graph, other groups");
            for group in groups.iter().filter(|group| group.len() > 1) {
                for node in group {
                    let is_tied = graph.edges[*node as usize].iter().any(|(other, _)| group.contains(other));
                    proptest::prop_assert!(is_tied, "{} has nobody in {:?}", node, group);
                }
            }
        }
    }
}

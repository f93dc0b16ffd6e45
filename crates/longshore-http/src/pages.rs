//! Lists that come in pages.

use std::{collections::HashSet, future::Future, hash::Hash};

use crate::Failure;
use longshore_core::{Error, ErrorKind};

/// One page of a list, and what asks for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T, C> {
    /// What is on it; a page may be empty and not the last.
    pub items: Vec<T>,
    /// What asks for the next page; `None` on the last.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// A page.
    pub const fn new(items: Vec<T>, next: Option<C>) -> Self {
        Self { items, next }
    }
}

/// Reads all pages, keeping of each item what `keep` makes of it, so that a long list need not be held whole.
///
/// Pages of a list that changes meanwhile may tell of an item twice, or of one that has moved not at all: what must
/// not be missed is asked for by name.
///
/// # Errors
/// As `ask`; `Unexpected` when the server gives the same continuation twice, which would never end.
pub async fn all_pages<T, K, C, F>(
    ask: impl FnMut(Option<C>) -> F,
    keep: impl FnMut(T) -> Option<K>,
) -> Result<Vec<K>, Failure>
where
    C: Clone + Eq + Hash,
    F: Future<Output = Result<Page<T, C>, Failure>>,
{
    pages_until(|_, _| false, ask, keep).await
}

/// As [`all_pages`], until it is enough: of so many kept items after so many pages.
///
/// # Errors
/// As [`all_pages`].
pub async fn pages_until<T, K, C, F>(
    is_enough: impl Fn(&[K], usize) -> bool,
    mut ask: impl FnMut(Option<C>) -> F,
    mut keep: impl FnMut(T) -> Option<K>,
) -> Result<Vec<K>, Failure>
where
    C: Clone + Eq + Hash,
    F: Future<Output = Result<Page<T, C>, Failure>>,
{
    let mut kept = Vec::new();
    let mut seen = HashSet::new();
    let mut next = None;
    loop {
        let page = ask(next).await?;
        kept.extend(page.items.into_iter().filter_map(&mut keep));
        match page.next {
            None => return Ok(kept),
            Some(_) if is_enough(&kept, seen.len() + 1) => return Ok(kept),
            Some(token) if !seen.insert(token.clone()) => {
                let message = "the server gave the same page token twice, so that its list would never end";
                return Err(Failure::Unanswered(Error::new(ErrorKind::Unexpected, message)));
            }
            token => next = token,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(pages: &[(&[u32], Option<&'static str>)]) -> Result<Vec<u32>, Failure> {
        read_until(|_, _| false, pages).await
    }

    async fn read_until(
        is_enough: impl Fn(&[u32], usize) -> bool,
        pages: &[(&[u32], Option<&'static str>)],
    ) -> Result<Vec<u32>, Failure> {
        let mut pages = pages.iter();
        let ask = |_: Option<&'static str>| {
            let page =
                pages.next().map_or_else(|| Page::new(vec![], None), |(items, next)| Page::new(items.to_vec(), *next));
            std::future::ready(Ok(page))
        };
        pages_until(is_enough, ask, |item| (item % 2 == 1).then_some(item)).await
    }

    #[tokio::test]
    async fn every_page_is_read_also_after_an_empty_one() {
        let pages: [(&[u32], Option<&'static str>); 3] = [(&[1, 2], Some("b")), (&[], Some("c")), (&[3], None)];
        assert_eq!(read(&pages).await.unwrap(), [1, 3]);
    }

    #[tokio::test]
    async fn what_is_enough_is_not_exceeded() {
        let pages: [(&[u32], Option<&'static str>); 3] = [(&[1, 2], Some("b")), (&[3], Some("c")), (&[5], None)];
        assert_eq!(read_until(|kept, _| kept.len() >= 2, &pages).await.unwrap(), [1, 3]);
        assert_eq!(read_until(|_, read| read >= 1, &pages).await.unwrap(), [1]);
        assert_eq!(read_until(|_, read| read >= 3, &pages).await.unwrap(), [1, 3, 5]);
    }

    #[tokio::test]
    async fn a_list_without_an_end_is_given_up() {
        let pages: [(&[u32], Option<&'static str>); 3] = [(&[1], Some("b")), (&[2], Some("c")), (&[3], Some("b"))];
        let error = read(&pages).await.unwrap_err().into_error();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
    }
}

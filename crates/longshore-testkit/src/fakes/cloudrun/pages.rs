//! Pages of a list.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::error::{Code, Refusal};

/// Which page of which list is asked for.
pub(crate) struct Paging {
    size: usize,
    scope: u64,
    shifting: bool,
    after: Option<String>,
}

/// How a list is cut.
pub(crate) struct Cut {
    /// The size of a page when none is asked for.
    pub(crate) default: usize,
    pub(crate) most: usize,
    pub(crate) shifting: bool,
}

impl Paging {
    /// Reads what a request asks for. `scope` is everything else that it asks: a token is good for the same only.
    pub(crate) fn new(size: i64, token: &str, scope: &[&str], cut: &Cut) -> Result<Self, Refusal> {
        let Ok(size) = usize::try_from(size) else {
            return Err(Refusal::field("page_size", "must not be negative"));
        };
        let wanted = if size == 0 { cut.default } else { size };
        let mut hasher = DefaultHasher::new();
        scope.hash(&mut hasher);
        let mut paging =
            Self { size: wanted.min(cut.most).max(1), scope: hasher.finish(), shifting: cut.shifting, after: None };
        if !token.is_empty() {
            paging.after = Some(paging.read(token)?);
        }
        Ok(paging)
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Where the page begins: behind the item with this key, or at this place of a list that shifts.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The token of the page that begins behind the place.
    pub(crate) fn token(&self, after: &str) -> String {
        let hex: String = after.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{:016x}{hex}", self.scope)
    }

    /// The page's items, of a list that is in the order of its keys, and the token of the next one.
    pub(crate) fn cut<T>(&self, items: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
        let start = match (&self.after, self.shifting) {
            (None, _) => 0,
            (Some(place), true) => place.parse().unwrap_or(0),
            (Some(key), false) => items.partition_point(|(known, _)| known <= key),
        };
        let more = items.len() > start + self.size;
        let page: Vec<(String, T)> = items.into_iter().skip(start).take(self.size).collect();
        let last =
            if self.shifting { Some((start + self.size).to_string()) } else { page.last().map(|(key, _)| key.clone()) };
        let next = last.filter(|_| more).map(|last| self.token(&last));
        (page.into_iter().map(|(_, item)| item).collect(), next)
    }

    fn read(&self, token: &str) -> Result<String, Refusal> {
        let refusal = || {
            let message = "page_token: the token must be that of the former page, and everything else must be the same";
            Refusal::new(Code::InvalidArgument, message)
        };
        let (scope, hex) = token.split_at_checked(16).ok_or_else(refusal)?;
        if scope != format!("{:016x}", self.scope) || !hex.is_ascii() || !hex.len().is_multiple_of(2) {
            return Err(refusal());
        }
        let byte = |place| u8::from_str_radix(&hex[place..place + 2], 16).ok();
        let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(size: i64, token: &str, scope: &str, shifting: bool) -> Result<Paging, Refusal> {
        Paging::new(size, token, &[scope], &Cut { default: 2, most: 3, shifting })
    }

    fn items(keys: &[u32]) -> Vec<(String, u32)> {
        keys.iter().map(|key| (format!("{key:02}"), *key)).collect()
    }

    #[test]
    fn a_list_is_cut_into_pages() {
        let (first, token) = paging(0, "", "a", false).unwrap().cut(items(&[1, 2, 3, 4, 5]));
        assert_eq!(first, [1, 2]);
        let (second, token) = paging(100, &token.unwrap(), "a", false).unwrap().cut(items(&[1, 3, 4, 5, 6]));
        assert_eq!(second, [3, 4, 5]);
        let (third, token) = paging(100, &token.unwrap(), "a", false).unwrap().cut(items(&[6]));
        assert_eq!((third, token), (vec![6], None));
    }

    #[test]
    fn a_list_that_shifts_skips_what_moved_up() {
        let (_, token) = paging(2, "", "a", true).unwrap().cut(items(&[1, 2, 3, 4, 5]));
        let (second, _) = paging(2, &token.unwrap(), "a", true).unwrap().cut(items(&[2, 3, 4, 5]));
        assert_eq!(second, [4, 5]);
    }

    #[test]
    fn a_token_is_good_for_its_own_list_only() {
        let (_, token) = paging(2, "", "a", false).unwrap().cut(items(&[1, 2, 3]));
        let token = token.unwrap();
        assert!(paging(2, &token, "b", false).is_err());
        for wrong in ["x", "0123456789abcdef0", "ä123456789abcdef01"] {
            assert!(paging(2, wrong, "a", false).is_err(), "{wrong}");
        }
        assert!(paging(-1, "", "a", false).is_err());
    }
}

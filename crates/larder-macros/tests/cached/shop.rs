//! Functions of all forms of answer, over three caches.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::{Cache, ErrorKind, cached};

use crate::support::Rig;

/// The number of times that a function has run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(Arc<AtomicUsize>);

impl Runs {
    pub(crate) fn one_more(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A failure that can be cloned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trouble {
    NotFound,
    Cache(ErrorKind),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("trouble")
    }
}

impl std::error::Error for Trouble {}

impl From<larder::Error> for Trouble {
    fn from(error: larder::Error) -> Self {
        Self::Cache(error.kind())
    }
}

pub(crate) type Boxed = Box<dyn std::error::Error + Send + Sync>;

// The macro must see through these aliases: results are told by type and not by name.
pub(crate) type Answer<T> = Result<T, Trouble>;
pub(crate) type Maybe<T> = Option<T>;

pub(crate) mod plain {
    /// A type that is no result, whatever its name.
    pub(crate) type Result = String;
}

#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) cache: Cache<u64, String>,
    pub(crate) texts: Cache<String, String>,
    pub(crate) pairs: Cache<(u64, String), String>,
    pub(crate) runs: Runs,
}

impl Shop {
    pub(crate) fn new(rig: &Rig) -> Self {
        Self {
            // Each kind of key has a namespace of its own.
            cache: rig.builder().namespace("ids").absent_ttl(HOUR).build().unwrap(),
            texts: rig.builder().namespace("texts").absent_ttl(HOUR).build().unwrap(),
            pairs: rig.builder().namespace("pairs").build().unwrap(),
            runs: Runs::default(),
        }
    }

    /// The plainest cached function.
    #[cached(cache = self.cache)]
    pub(crate) async fn plain(&self, id: u64) -> String {
        format!("{id}, run {}", self.runs.one_more())
    }

    #[cached(cache = self.cache)]
    pub(crate) async fn answer(&self, id: u64) -> Answer<String> {
        self.runs.one_more();
        if id == 0 { Err(Trouble::NotFound) } else { Ok(id.to_string()) }
    }

    #[cached(cache = self.cache)]
    pub(crate) async fn maybe(&self, id: u64) -> Maybe<String> {
        self.runs.one_more();
        (id > 0).then(|| id.to_string())
    }

    #[cached(cache = self.cache)]
    pub(crate) async fn answer_maybe(&self, id: u64) -> Answer<Maybe<String>> {
        self.runs.one_more();
        match id {
            0 => Err(Trouble::NotFound),
            1 => Ok(None),
            _ => Ok(Some(id.to_string())),
        }
    }

    #[cached(cache = self.cache)]
    pub(crate) async fn misnamed(&self, id: u64) -> plain::Result {
        format!("{id}, run {}", self.runs.one_more())
    }

    #[cached(cache = self.cache)]
    pub(crate) async fn boxed(&self, id: u64) -> Result<String, Boxed> {
        self.runs.one_more();
        if id == 0 { Err(std::io::Error::other("not found").into()) } else { Ok(id.to_string()) }
    }

    #[cached(cache = self.pairs)]
    pub(crate) async fn pair(&self, id: u64, name: &str) -> String {
        format!("{id} {name}, run {}", self.runs.one_more())
    }

    #[cached(cache = self.texts, key = "user:{id}:{name}", skip(trace))]
    pub(crate) async fn text(&self, id: u64, name: &str, mut trace: Vec<u8>) -> String {
        trace.push(0);
        format!("{id} {name}, run {}", self.runs.one_more())
    }

    #[cached(cache = self.cache, when = id.is_multiple_of(2))]
    pub(crate) async fn even(&self, id: u64) -> String {
        format!("{id}, run {}", self.runs.one_more())
    }

    #[cached(
        cache = self.texts,
        key = "page:{path}",
        ttl = HOUR,
        grace = HOUR * 2,
        tags = ["path:{path}", SITE],
    )]
    pub(crate) async fn page(&self, path: &str) -> String {
        format!("{path}, run {}", self.runs.one_more())
    }

    #[cached(cache = self.cache)]
    pub(crate) fn now(&self, id: u64) -> Answer<String> {
        if id == 0 { Err(Trouble::NotFound) } else { Ok(format!("run {}", self.runs.one_more())) }
    }

    #[cached(cache = shop.cache, skip(shop), associated)]
    pub(crate) async fn of(shop: &Shop, id: u64) -> String {
        format!("{id}, run {}", shop.runs.one_more())
    }

    #[cached(cache = self.cache)]
    pub(crate) async fn shared(self: &Arc<Self>, id: u64) -> String {
        format!("{id}, run {}", self.runs.one_more())
    }

    #[cached(cache = self.cache)]
    pub(crate) async fn owned(self: Arc<Self>, id: u64) -> String {
        format!("{id}, run {}", self.runs.one_more())
    }
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const SITE: &str = "site";

//! A hundred tasks, one load; then a change that a load under way cannot undo.
//!
//! `cargo run -p larder --example quickstart`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;
use std::time::Duration;

use larder::{Cache, Options, Result};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

type Pages = Cache<String, Arc<str>>;

#[tokio::main]
async fn main() -> Result<()> {
    let pages: Pages = Cache::builder().capacity(10_000).ttl(Duration::from_secs(60)).build()?;

    // A hundred tasks ask for one page that nobody has loaded yet.
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let pages = pages.clone();
        tasks.spawn(async move { pages.get_with("/soup", || render("leek soup")).await });
    }
    let answers: Vec<_> = tasks.join_all().await.into_iter().collect::<Result<_>>()?;
    let loads = pages.stats().loads;
    println!("{} callers got {:?} from {loads} load", answers.len(), answers.last());

    // A load begins and is slow; meanwhile its page is invalidated.
    let (begun, has_begun) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let slow = pages.clone();
    let load = tokio::spawn(async move {
        let loader = move || async move {
            let page = Arc::from("the menu of yesterday");
            let _ = begun.send(());
            let _ = may_go_on.await;
            page
        };
        slow.get_with("/menu", loader).await
    });
    let _ = has_begun.await;
    pages.invalidate("/menu").await?;
    let _ = go_on.send(());
    println!("who asked before the change: {}", load.await.expect("it does not panic")?);
    println!("who asks after it: {:?}", pages.get("/menu").await?);

    // A tag drops many entries at once.
    let tagged = pages.with(Options::new().tags(["kitchen"]));
    tagged.insert("/oven".into(), "200 degrees".into()).await?;
    pages.invalidate_tag("kitchen").await?;
    println!("the oven after its tag: {:?}", pages.get("/oven").await?);
    Ok(())
}

async fn render(text: &'static str) -> Arc<str> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Arc::from(text)
}

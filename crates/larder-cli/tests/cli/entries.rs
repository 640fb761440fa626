//! The sub-commands on entries: what they print in each form, and their exit codes.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use larder::backend::{Backend as _, Class, Key, Namespace};
use larder::{Cache, MessagePack, Options};
use larder_disk::{DiskBackend, DiskConfig};
use serde_json::{Value, json};

use crate::support::{Bench, no, ok, pause, text};

#[test]
fn a_value_is_set_got_and_deleted() {
    let bench = Bench::new();
    assert_eq!(bench.tell("get a"), no());
    assert_eq!(bench.tell("set a hello"), ok(""));
    assert_eq!(bench.tell("get a"), ok("hello"));
    assert_eq!(bench.json("get a"), [json!({ "key": "a", "value": "hello" })]);
    assert_eq!(bench.tell("get a --namespace other"), no());
    assert_eq!(bench.tell("delete a b"), ok("1\n"));
    assert_eq!(bench.tell("delete a"), (1, "0\n".to_owned()));
    assert_eq!(bench.json("delete a"), [json!({ "deleted": 0 })]);
    assert_eq!(bench.tell("get a"), no());
}

#[test]
fn a_value_may_be_any_bytes_from_stdin() {
    let bench = Bench::new();
    let mut set = bench.larder(["set", "odd key\n\u{1b}", "-"]);
    let mut child = set.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\0\xff").unwrap();
    assert!(child.wait().unwrap().success());
    let get = bench.larder(["get", "odd key\n\u{1b}"]).output().unwrap();
    assert_eq!(get.stdout, b"\0\xff");
    let get = bench.larder(["get", "odd key\n\u{1b}", "--json"]).output().unwrap();
    let shown: Value = serde_json::from_slice(&get.stdout).unwrap();
    assert_eq!(shown["value"], json!({ "base64": "AP8=" }));
    assert_eq!(bench.json("keys"), [json!({ "key": "odd key\n\u{1b}" })]);
    assert_eq!(bench.tell("count odd*"), ok("1\n"));
}

#[test]
fn lives_are_shown_and_changed() {
    let bench = Bench::new();
    assert_eq!(bench.tell("ttl a"), no());
    assert_eq!(bench.tell("ttl a 1h"), no());
    assert_eq!(bench.tell("set a x --ttl 1h"), ok(""));
    assert!(bench.tell("ttl a").1.starts_with("59m 5"));
    assert_eq!(bench.tell("ttl a never"), ok(""));
    assert_eq!(bench.tell("ttl a"), ok("never\n"));
    assert_eq!(bench.json("ttl a"), [json!({ "key": "a", "ttl_seconds": null })]);
    assert_eq!(bench.tell("ttl a 200ms"), ok(""));
    pause(Duration::from_millis(300));
    assert_eq!(bench.tell("get a"), no());
    assert_eq!(bench.tell("ttl a"), no());
    assert_eq!(bench.tell("ttl a soon").0, 2);
    assert_eq!(bench.json("ttl a 1h"), [json!({ "key": "a", "changed": false })]);
    assert_eq!(bench.json("set a x --tag t"), [json!({ "key": "a", "stored": true })]);
    assert_eq!(bench.json("ttl a 1h"), [json!({ "key": "a", "changed": true })]);
    assert_eq!(bench.json("tag invalidate t"), [json!({ "invalidated": ["t"] })]);
}

#[test]
fn counters_count() {
    let bench = Bench::new();
    assert_eq!(bench.tell("incr n"), ok("1\n"));
    assert_eq!(bench.tell("incr n 10"), ok("11\n"));
    assert_eq!(bench.tell("incr n -12"), ok("-1\n"));
    assert_eq!(bench.json("incr n"), [json!({ "key": "n", "value": 0 })]);
    assert_eq!(bench.json("get n"), [json!({ "key": "n", "value": 0 })]);
    assert_eq!(bench.tell("get n"), ok("0"));
    assert_eq!(bench.tell("incr short --ttl 1h"), ok("1\n"));
    assert!(bench.tell("ttl short").1.starts_with("59m 5"));
    assert_eq!(bench.tell("ttl short 2h"), ok(""));
    assert!(bench.tell("ttl short").1.starts_with("1h 59m"));
    assert_eq!(bench.tell("set text x"), ok(""));
    assert_eq!(bench.tell("incr text").0, 2);
    assert_eq!(bench.tell("get text"), ok("x"));
}

#[test]
fn globs_choose_keys() {
    let bench = Bench::new();
    for key in ["user:1", "user:2", "user:30", "item:1", "us*r"] {
        assert_eq!(bench.tell(&format!("set {key} x --tag {key}")), ok(""));
    }
    let keys = |words: &str| {
        let (code, keys) = bench.tell(words);
        let mut keys: Vec<_> = keys.lines().map(str::to_owned).collect();
        keys.sort();
        (code, keys.join(" "))
    };
    assert_eq!(keys("keys"), ok("item:1 us*r user:1 user:2 user:30"));
    assert_eq!(keys("keys user:?"), ok("user:1 user:2"));
    assert_eq!(keys("keys user:[^1]*"), ok("user:2 user:30"));
    assert_eq!(keys("keys us\\*r"), ok("us*r"));
    assert_eq!(keys("keys nothing*"), ok(""));
    assert_eq!(bench.tell("keys [").0, 2);
    assert_eq!(bench.json("count user:*"), [json!({ "count": 3 })]);
    assert_eq!(bench.tell("tag invalidate user:1 item:1"), ok(""));
    assert_eq!(keys("keys"), ok("us*r user:2 user:30"));
    assert_eq!(bench.tell("count"), ok("3\n"));
    assert_eq!(bench.tell("clear user:[23]*"), ok("2\n"));
    assert_eq!(keys("keys"), ok("us*r"));
}

#[test]
fn f29_clearing_a_namespace_leaves_its_neighbours_alone() {
    let bench = Bench::new();
    let names = ["a", "ab", "a*", "a?", "[a]", "a:b", "\\a", "%", "_"];
    for name in names {
        assert!(bench.larder(["set", "k", name, "--namespace", name]).status().unwrap().success());
    }
    for (cleared, name) in names.iter().enumerate() {
        assert!(bench.larder(["clear", "--namespace", name]).output().unwrap().status.success());
        for (index, other) in names.iter().enumerate() {
            let get = bench.larder(["get", "k", "--namespace", other]).output().unwrap();
            assert_eq!(get.status.success(), index > cleared, "{name} {other}");
        }
    }
}

#[test]
fn inspection_tells_state_and_life() {
    let bench = Bench::new();
    assert_eq!(bench.tell("inspect a"), no());
    assert_eq!(bench.tell("set a hello --ttl 300ms --grace 1h --tag t --tag u"), ok(""));
    let found = &bench.json("inspect a")[0];
    assert_eq!(found["state"], "fresh");
    assert_eq!(found["tags"], json!(["t", "u"]));
    assert_eq!((&found["codec"], &found["size_bytes"]), (&json!("raw"), &json!(5)));
    assert_eq!(found["version"].as_str().unwrap().len(), 32);
    pause(Duration::from_millis(400));
    assert_eq!(bench.json("inspect a")[0]["state"], "stale");
    assert_eq!(bench.tell("get a"), no());
    let (code, table) = bench.tell("inspect a");
    assert!(code == 0 && table.contains("state\tstale\n"), "{table}");
    assert_eq!(bench.tell("tag invalidate u"), ok(""));
    assert_eq!(bench.json("inspect a")[0]["state"], "invalidated");
}

/// Runs this function over a program's cache in the namespace `shop` of the bench's store.
fn as_a_program(bench: &Bench, run: impl AsyncFnOnce(&Cache<String, (String, u8)>)) {
    let backend = DiskBackend::open(DiskConfig::new(bench.store())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cache = Cache::builder().namespace("shop").backend_with(backend, MessagePack);
        let cache = cache.build().unwrap();
        run(&cache).await;
        cache.close().await.unwrap();
    });
}

#[test]
fn what_a_program_stored_is_shown_as_json() {
    let bench = Bench::new();
    as_a_program(&bench, async |cache| {
        cache.insert("k".to_owned(), ("soup".to_owned(), 7)).await.unwrap();
    });
    assert_eq!(bench.tell("get k --namespace shop"), ok("[\"soup\",7]"));
    assert_eq!(bench.json("get k --namespace shop")[0]["value"], json!(["soup", 7]));
    assert_eq!(bench.json("inspect k --namespace shop")[0]["codec"], "messagepack");
    assert_eq!(bench.tell("ttl k 1h --namespace shop"), ok(""));
}

#[test]
fn room_is_shown_and_freed() {
    let bench = Bench::new();
    assert_eq!(bench.tell("set a x --ttl 100ms"), ok(""));
    assert_eq!(bench.tell("set b x"), ok(""));
    pause(Duration::from_millis(200));
    assert_eq!(bench.tell("purge"), ok("1\n"));
    assert_eq!(bench.json("purge"), [json!({ "purged": 0 })]);
    let stats = &bench.json("stats")[0];
    assert_eq!(stats["values"], 1);
    assert!(stats["records"].as_u64().unwrap() >= 1 && stats["file_bytes"].as_u64().unwrap() > 0);
    assert!(bench.tell("stats").1.contains("values\t1\n"));
}

#[test]
fn a_purge_frees_what_a_tag_or_everything_has_ended_in_its_namespace() {
    let bench = Bench::new();
    for key in ["a", "b", "c"] {
        assert_eq!(bench.tell(&format!("set {key} x --tag {key} --namespace shop")), ok(""));
    }
    assert_eq!(bench.tell("tag invalidate a --namespace shop"), ok(""));
    assert_eq!(bench.tell("purge"), ok("0\n"), "another namespace");
    assert_eq!(bench.tell("purge --namespace shop"), ok("1\n"));
    assert_eq!(bench.tell("count --namespace shop"), ok("2\n"));
    as_a_program(&bench, async |cache| {
        cache.invalidate_all().await.unwrap();
    });
    assert_eq!(bench.json("purge --namespace shop"), [json!({ "purged": 2 })]);
}

#[test]
fn the_tags_of_a_counter_live_as_long_as_its_new_life() {
    let bench = Bench::new();
    as_a_program(&bench, async |cache| {
        let minute = Options::new().ttl(Duration::from_secs(60)).tags(["t"]);
        cache.with(minute).incr("n", 1).await.unwrap();
    });
    assert_eq!(bench.tell("ttl n 30days --namespace shop"), ok(""));
    let backend = DiskBackend::open(DiskConfig::new(bench.store())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tag = Key::new(&Namespace::new("shop").unwrap(), Class::Tag, b"t");
    let tag = runtime.block_on(backend.read_one(&tag)).unwrap().unwrap();
    assert!(tag.header.times.kept_left() > Duration::from_secs(29 * 86_400), "{tag:?}");
    assert_eq!(bench.tell("ttl n 0s --namespace shop"), ok(""));
    assert_eq!(bench.tell("get n --namespace shop"), no());
}

#[test]
fn the_doctor_finds_open_doors_and_closes_them_if_asked() {
    let bench = Bench::new();
    let (code, output) = bench.tell("doctor");
    assert!(code == 0 && output.contains("not there yet"), "{output}");
    assert!(!bench.store().exists());
    assert_eq!(bench.tell("set a x"), ok(""));
    assert_eq!(bench.tell("doctor").0, 0);
    let database = bench.store().join("larder.db");
    let open = |mode| std::fs::set_permissions(&database, Permissions::from_mode(mode));
    open(0o644).unwrap();
    let (code, output) = bench.tell("doctor");
    assert!(code == 1 && output.contains("--repair would"), "{output}");
    assert_eq!(bench.tell("doctor --repair").0, 0);
    assert_eq!(bench.tell("doctor").0, 0);
    assert_eq!(database.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let report = &bench.json("doctor")[0];
    assert_eq!((&report["ok"], &report["findings"]), (&json!(true), &json!([])));
}

#[test]
fn the_doctor_sets_a_damaged_database_aside_only_if_asked() {
    let bench = Bench::new();
    for key in 0..200 {
        assert_eq!(bench.tell(&format!("incr k{key}")).0, 0);
    }
    let database = bench.store().join("larder.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xAA);
    std::fs::write(&database, &bytes).unwrap();
    let (code, output) = bench.tell("doctor");
    assert!(code == 1 && output.contains("--repair would"), "{output}");
    assert_eq!(std::fs::read(&database).unwrap(), bytes);
    let (code, output) = bench.tell("doctor --repair");
    assert!(code == 0 && output.contains("done: set it aside"), "{output}");
    assert!(bench.tell("doctor").1.contains("larder.damaged-"));
    assert_eq!(bench.json("doctor")[0]["set_aside"].as_array().unwrap().len(), 1);
    assert_eq!(bench.tell("count"), ok("0\n"));
    assert_eq!(bench.tell("set a x"), ok(""));
    assert_eq!(bench.tell("get a"), ok("x"));
}

#[test]
fn a_folder_that_may_be_anybodys_keeps_its_rights() {
    let bench = Bench::new();
    std::fs::create_dir(bench.store()).unwrap();
    std::fs::set_permissions(bench.store(), Permissions::from_mode(0o777)).unwrap();
    assert_eq!(bench.tell("get a").0, 3);
    assert_eq!(bench.tell("doctor --repair").0, 1);
    let mode = std::fs::metadata(bench.store()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o777);
}

#[test]
fn exit_codes_tell_usage_from_a_store_that_cannot_be_used() {
    let bench = Bench::new();
    assert_eq!(bench.tell("get").0, 2);
    assert_eq!(bench.tell("nonsense").0, 2);
    let code = |url: &str| {
        let mut get = Command::new(env!("CARGO_BIN_EXE_larder"));
        get.args(["get", "a", "--url", url]).output().unwrap().status.code()
    };
    assert_eq!(code("redis://localhost"), Some(2));
    assert_eq!(code("file:/proc/larder"), Some(3));
}

#[test]
fn the_url_may_come_from_the_environment_and_has_a_default() {
    let bench = Bench::new();
    assert_eq!(bench.tell("set a x"), ok(""));
    let larder = || {
        let mut larder = Command::new(env!("CARGO_BIN_EXE_larder"));
        larder.env_remove("LARDER_URL").env("XDG_CACHE_HOME", bench.path("cache"));
        larder
    };
    let url = format!("file:{}", bench.store().display());
    let get = larder().args(["get", "a"]).env("LARDER_URL", &url).output().unwrap();
    assert_eq!(get.stdout, b"x");
    assert!(larder().args(["set", "a", "y"]).status().unwrap().success());
    assert!(bench.path("cache/larder/larder.db").exists());
    let get = larder().args(["get", "a", "--url", &url]).output().unwrap();
    assert_eq!(get.stdout, b"x");
}

#[test]
fn a_closed_pipe_ends_a_list_quietly() {
    let bench = Bench::new();
    let backend = DiskBackend::open(DiskConfig::new(bench.store())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cache = Cache::<String, String>::builder().namespace("default");
        let cache = cache.backend_with(backend, larder::Raw).build().unwrap();
        for number in 0..3_000 {
            cache.insert(format!("{number:060}"), String::new()).await.unwrap();
        }
        cache.close().await.unwrap();
    });
    let mut keys = bench.larder(["keys"]);
    let mut child = keys.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), ""));
    assert_eq!(bench.tell("count"), ok("3000\n"));
}

#[test]
fn help_version_completions_and_manual_are_there() {
    let bench = Bench::new();
    for words in ["--version", "--help", "run --help", "man", "man run"] {
        assert!(bench.tell(words).1.contains("larder"), "{words}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let (code, script) = bench.tell(&format!("completions {shell}"));
        assert!(code == 0 && script.contains("refresh-after"), "{shell}");
    }
    assert_eq!(bench.tell("man nonsense").0, 2);
}

#[test]
fn a_configuration_names_store_namespace_and_lives() {
    let bench = Bench::new();
    let (file, store) = (bench.path("cache.toml"), bench.store());
    let configured = |words: &str| {
        let mut larder = Command::new(env!("CARGO_BIN_EXE_larder"));
        larder.args(words.split(' ')).env("LARDER_CONFIG", &file).env_remove("LARDER_URL");
        let output = larder.stdin(Stdio::null()).output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout).to_owned() + text(&output.stderr))
    };
    let toml = format!("url = 'file:{}'\nnamespace = 'shop'\nttl = '1h'", store.display());
    std::fs::write(&file, toml).unwrap();
    assert_eq!(configured("set a x"), ok(""));
    assert_eq!(configured("get a"), ok("x"));
    assert!(configured("ttl a").1.starts_with("59m"));
    assert_eq!(configured("get a --namespace default"), no());
    let other = format!("--url file:{} get a", bench.path("other").display());
    assert_eq!(configured(&other), no(), "the option comes first");
    // A URL with a program's settings has the same effect.
    let url = format!("file:{}?namespace=shop&ttl=5m", store.display());
    let get = bench.larder(["get", "a", "--namespace", "shop"]).output().unwrap();
    assert_eq!(text(&get.stdout), "x");
    assert_eq!(configured(&format!("--url {url} get a")), ok("x"));

    let larger = format!("[a.cache]\nurl = 'file:{}'\nnamespace = 'shop'", store.display());
    std::fs::write(bench.path("larger.toml"), larger).unwrap();
    let table = format!("--config {}#a.cache get a", bench.path("larger.toml").display());
    assert_eq!(configured(&table), ok("x"));
    let (code, said) = configured("--url memory: clear");
    assert!(code == 2 && said.contains("not shared"), "{code} {said}");
    assert_eq!(configured("get a"), ok("x"), "it is no other store");
    std::fs::write(&file, "url = 'file:x'\nnamspace = 'shop'").unwrap();
    let (code, said) = configured("get a");
    assert_eq!(code, 2);
    assert!(said.contains("did you mean `namespace`?"), "{said}");
    assert_eq!(configured("run -- true").0, 125);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(configured("get a").0, 3);
}

#[test]
fn a_run_obeys_the_configuration_and_the_url() {
    let bench = Bench::new();
    let (file, store) = (bench.path("cache.toml"), bench.store());
    let toml = format!("url = 'file:{}'\nnamespace = 'shop'\nttl = '5m'", store.display());
    std::fs::write(&file, toml).unwrap();
    let run = |words: &str| {
        let mut larder = Command::new(env!("CARGO_BIN_EXE_larder"));
        larder.args(words.split(' ')).env("LARDER_CONFIG", &file).env_remove("LARDER_URL");
        text(&larder.stdin(Stdio::null()).output().unwrap().stderr).to_owned()
    };
    assert!(run("run -v --key a -- true").contains("kept for 5m"));
    assert!(run("run -v --key a -- true").contains("replayed"));
    assert_eq!(bench.tell("count --namespace shop"), ok("1\n"));
    assert_eq!(bench.tell("count --namespace run"), ok("0\n"));
    // The options come first, and then the URL.
    assert!(run("run -v --key b --ttl 1m -- true").contains("kept for 1m"));
    assert!(run("run -v --key a --namespace mine -- true").contains("kept for 5m"));
    assert_eq!(bench.tell("count --namespace mine"), ok("1\n"));
    let url = format!("file:{}?namespace=other&ttl=never", store.display());
    assert!(run(&format!("--url {url} run -v --key a -- true")).contains("kept for never"));
    assert_eq!(bench.tell("count --namespace other"), ok("1\n"));
}

#[test]
fn the_grace_of_a_configuration_is_that_of_a_run() {
    let bench = Bench::new();
    let url = format!("file:{}?ttl=100ms&grace=1h", bench.store().display());
    let run = || {
        let mut larder = Command::new(env!("CARGO_BIN_EXE_larder"));
        larder.args(["--url", &url, "run", "-v", "--key", "a", "--", "true"]);
        larder.env_remove("LARDER_URL");
        text(&larder.stdin(Stdio::null()).output().unwrap().stderr).to_owned()
    };
    assert!(run().contains("kept for 100ms"));
    pause(Duration::from_millis(200));
    assert!(run().contains("replayed"), "the old answer at once");
}

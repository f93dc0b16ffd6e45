//! How the texts of options are read: pure functions, each refusal with the rule.

use clap::builder::{PossibleValue, TypedValueParser};
use jiff::{SignedDuration, Timestamp};
use longshore::{
    ByteSize, JobStatus, LabelKey, LabelValue, Mount, MountSource, SecretBinding, SecretName, SecretReference, Tmpfs,
    Violation, VolumeName,
};
use std::{ffi::OsStr, num::NonZeroU32, str::FromStr, time::Duration};

/// Takes any text, and names the usual ones to help pages and shell completion: the rule itself is core's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suggested(pub(crate) &'static [&'static str]);

impl TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        clap::builder::StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}

const TIME_RULE: &str = "write a time such as 30s, 5m, 1h 30m or 250ms, or a number of seconds";

/// `30s`, `1h 30m`, or a number of seconds.
pub(crate) fn time(text: &str) -> Result<Duration, Violation> {
    let wrong = || Violation::new("time", text, TIME_RULE);
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let friendly = if is_number { format!("{text}s") } else { text.to_owned() };
    let parsed: SignedDuration = friendly.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

/// A time as above, or a number of days: how long ago something was.
pub(crate) fn age(text: &str) -> Result<Duration, Violation> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * 24 * 3600)),
        None => {
            time(text).map_err(|wrong| Violation::new("time", text, format!("{}, or of days such as 30d", wrong.rule)))
        }
    }
}

/// A moment, or how long it is ago.
pub(crate) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Violation> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    let wrong = || {
        Violation::new(
            "time",
            text,
            "write a time such as 2026-01-31T08:00:00Z, or how long ago it is, such as 2h or 3d",
        )
    };
    let ago = SignedDuration::try_from(age(text).map_err(|_| wrong())?).map_err(|_| wrong())?;
    now.checked_sub(ago).map_err(|_| wrong())
}

/// A job's status, in the words in which it is shown and stored.
pub(crate) fn status(text: &str) -> Result<JobStatus, Violation> {
    let stored = text.replace([' ', '-'], "_");
    serde_json::from_value(stored.into()).map_err(|_| {
        let rule = "use pending, launching, running, completed, failed, timed_out, cancelled or lost";
        Violation::new("status", text, rule)
    })
}

/// A whole number.
pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, Violation> {
    text.parse().map_err(|_| Violation::new("number", text, "write a whole number"))
}

/// A whole number above zero.
pub(crate) fn count(text: &str) -> Result<NonZeroU32, Violation> {
    text.parse().map_err(|_| Violation::new("count", text, "write a whole number above zero"))
}

/// `KEY=VALUE`, or `KEY` with an empty value.
pub(crate) fn label(text: &str) -> Result<(LabelKey, LabelValue), Violation> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Ok((LabelKey::new(key)?, LabelValue::new(value)?))
}

/// `SOURCE:TARGET[:ro]`.
pub(crate) fn volume(text: &str) -> Result<Mount, Violation> {
    let wrong = |rule| Violation::new("volume", text, rule);
    let mut parts = text.split(':');
    let (source, Some(target), mode, None) =
        (parts.next().unwrap_or_default(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong("write SOURCE:TARGET or SOURCE:TARGET:ro"));
    };
    let source = match source.chars().next() {
        Some('/') => MountSource::Bind(source.to_owned()),
        Some('.' | '~') => {
            return Err(wrong("a path of the host must be absolute; write it out, such as /srv/data:/data"));
        }
        _ => MountSource::Volume(VolumeName::new(source)?),
    };
    match mode {
        None | Some("rw") => Ok(Mount::new(source, target)),
        Some("ro") => Ok(Mount::new(source, target).read_only()),
        Some(_) => Err(wrong("after the second colon comes `ro` or `rw`")),
    }
}

/// `TARGET[:size=SIZE]`.
pub(crate) fn tmpfs(text: &str) -> Result<Tmpfs, Violation> {
    let Some((target, option)) = text.split_once(':') else { return Ok(Tmpfs::new(text, None)) };
    let size = option
        .strip_prefix("size=")
        .ok_or_else(|| Violation::new("tmpfs", text, "write TARGET or TARGET:size=SIZE, such as /tmp:size=64m"))?;
    Ok(Tmpfs::new(target, Some(size.parse::<ByteSize>()?)))
}

/// `NAME=REF[,env|,file]`. What is wrong is not shown: somebody may have written the secret itself.
pub(crate) fn secret(text: &str) -> Result<SecretBinding, Violation> {
    let Some((name, reference)) = text.split_once('=') else {
        return Err(Violation::new(
            "--secret",
            "(not shown)",
            "write NAME=REF or NAME=REF,env, where REF is env:NAME, file:PATH or provider:REFERENCE",
        ));
    };
    let name = SecretName::new(name)?;
    let (reference, as_variable) = match reference.rsplit_once(',') {
        Some((reference, "env")) => (reference, true),
        Some((reference, "file")) => (reference, false),
        _ => (reference, false),
    };
    let reference: SecretReference = reference.parse()?;
    Ok(if as_variable { SecretBinding::env(name, reference) } else { SecretBinding::file(name, reference) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore::SecretDelivery;

    #[test]
    fn times_have_units_or_are_seconds() {
        for (text, millis) in
            [("30s", 30_000), ("1h 30m", 5_400_000), ("250ms", 250), ("30", 30_000), ("0.5", 500), ("0s", 0), ("0", 0)]
        {
            assert_eq!(time(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "-1s", "-1", "soon", "1d", "1 week", "1e3", "999999999999999999999h", "1.2.3", "."] {
            assert!(time(text).unwrap_err().rule.contains("number of seconds"), "{text}");
        }
    }

    #[test]
    fn ages_may_be_days_and_moments_lie_back() {
        assert_eq!(age("3d").unwrap(), Duration::from_secs(3 * 24 * 3600));
        assert_eq!(age("90m").unwrap(), Duration::from_secs(5400));
        for text in ["", "d", "-1d", "1.5d", "99999999999d", "1w"] {
            assert!(age(text).unwrap_err().rule.contains("30d"), "{text}");
        }
        let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        assert_eq!(moment("1d", now).unwrap().to_string(), "2026-02-28T00:00:00Z");
        assert_eq!(moment("2026-01-31T08:00:00+01:00", now).unwrap().to_string(), "2026-01-31T07:00:00Z");
        for text in ["", "yesterday", "2026-01-31"] {
            assert!(moment(text, now).unwrap_err().rule.contains("how long ago"), "{text}");
        }
    }

    #[test]
    fn statuses_are_read_as_they_are_shown() {
        for text in ["timed_out", "timed out", "timed-out"] {
            assert_eq!(status(text).unwrap(), JobStatus::TimedOut);
        }
        assert!(status("done").unwrap_err().rule.contains("completed"));
    }

    #[test]
    fn volumes_are_paths_or_names() {
        let bind = volume("/srv/a:/b").unwrap();
        assert_eq!(
            (bind.source, bind.target.as_str(), bind.read_only),
            (MountSource::Bind("/srv/a".into()), "/b", false)
        );
        let named = volume("cache:/c:ro").unwrap();
        assert_eq!((named.source, named.read_only), (MountSource::Volume(VolumeName::new("cache").unwrap()), true));
        assert!(!volume("cache:/c:rw").unwrap().read_only);
        for text in ["", "/a", ":/b", "/a:/b:z", "/a:/b:ro:x", "./a:/b", "~/a:/b", "a/b:/c"] {
            assert!(volume(text).is_err(), "{text}");
        }
    }

    #[test]
    fn scratch_space_has_a_size() {
        assert_eq!(tmpfs("/tmp").unwrap(), Tmpfs::new("/tmp", None));
        assert_eq!(tmpfs("/tmp:size=1m").unwrap(), Tmpfs::new("/tmp", Some(ByteSize::from_mib(1))));
        for text in ["/tmp:1m", "/tmp:size=0", "/tmp:size=-1", "/tmp:mode=777", "/tmp:size=1m,exec"] {
            assert!(tmpfs(text).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_references_and_never_shown() {
        let file = secret("token=file:/etc/a,b").unwrap();
        assert_eq!((file.delivery, file.reference.to_string().as_str()), (SecretDelivery::File, "file:/etc/a,b"));
        let variable = secret("TOKEN=env:X,env").unwrap();
        assert_eq!((variable.delivery, variable.reference.to_string().as_str()), (SecretDelivery::Env, "env:X"));
        assert_eq!(secret("t=provider:a/b=c,file").unwrap().reference.to_string(), "provider:a/b=c");
        for text in ["hunter2", "TOKEN=hunter2", "TOKEN=env:", "TOKEN=env:hunter 2", "TOKEN=vault:hunter2"] {
            let error = secret(text).unwrap_err().to_string();
            assert!(!error.contains("hunter"), "{error}");
            assert!(error.contains("file:PATH"), "{error}");
        }
    }

    #[test]
    fn labels_may_be_empty_and_counts_may_not() {
        assert_eq!(label("a=b=c").unwrap().1.as_str(), "b=c");
        assert_eq!(label("a").unwrap().1.as_str(), "");
        assert!(label("=b").is_err());
        for text in ["0", "-1", "1.5", "all", "", "4294967296"] {
            assert!(count(text).is_err(), "{text}");
        }
    }
}

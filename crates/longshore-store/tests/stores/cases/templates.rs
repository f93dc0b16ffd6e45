//! Templates that are kept.

use longshore_core::{ErrorKind, ImageSource, JobTemplate};
use longshore_store::SavedTemplate;

use crate::{ground::Ground, support::request};

fn saved(name: &str, image: &str, at: i64) -> SavedTemplate {
    let image = ImageSource::Registry(image.parse().unwrap());
    SavedTemplate::new(JobTemplate::builder().name(name.parse().unwrap()).image(image).build(), request(at))
}

pub(crate) async fn templates_are_kept_by_name(ground: Ground) {
    let (store, other) = (&ground.store, ground.another().await);
    let (nightly, batch) = (saved("nightly", "backup:1", 1), saved("batch-fit", "fit:1", 2));
    for template in [&nightly, &batch, &batch] {
        store.save_template(template.clone()).await.unwrap();
    }
    assert_eq!(other.templates().await.unwrap(), [batch.clone(), nightly]);
    let newer = saved("nightly", "backup:2", 3);
    other.save_template(newer.clone()).await.unwrap();
    assert_eq!(store.template(&"nightly".parse().unwrap()).await.unwrap(), newer);
    assert!(store.remove_template(&"nightly".parse().unwrap()).await.unwrap());
    assert!(!store.remove_template(&"nightly".parse().unwrap()).await.unwrap());
    assert_eq!(store.templates().await.unwrap(), [batch]);
}

pub(crate) async fn a_template_that_is_not_kept_is_told_with_those_that_are(ground: Ground) {
    let store = &ground.store;
    let missing = store.template(&"nightly".parse().unwrap()).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("no template nightly is kept in this store; none is kept"), "{missing}");
    store.save_template(saved("nightly", "backup:1", 1)).await.unwrap();
    let missing = store.template(&"nightyl".parse().unwrap()).await.unwrap_err();
    assert!(missing.to_string().contains("did you mean `nightly`?"), "{missing}");
}

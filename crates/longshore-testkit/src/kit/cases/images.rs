//! Images that lie in files and folders: those of the host's operator run as any other, and no others do.

use longshore_core::{ErrorKind, ImageFormat, ImageSource, JobTemplate, LocalImage};

use super::{demands::undeclared, mapping::CAN_NOT_READ};
use crate::kit::{
    case::Case,
    failure::{CaseResult, Halt, holds, refused, same, same_bytes},
};

cases! { "images":
    from_a_docker_archive,
    from_an_oci_archive,
    from_an_oci_layout,
    from_a_root_folder,
    that_are_not_there_are_told_as_that,
    outside_of_the_allowed_folders_are_refused_by_the_plan,
    are_not_changed_by_what_runs_in_them,
}

async fn from_a_docker_archive(case: &Case) -> CaseResult {
    runs_from(case, ImageFormat::DockerArchive).await
}

async fn from_an_oci_archive(case: &Case) -> CaseResult {
    runs_from(case, ImageFormat::OciArchive).await
}

async fn from_an_oci_layout(case: &Case) -> CaseResult {
    runs_from(case, ImageFormat::OciLayout).await
}

async fn from_a_root_folder(case: &Case) -> CaseResult {
    runs_from(case, ImageFormat::RootFolder).await
}

async fn runs_from(case: &Case, format: ImageFormat) -> CaseResult {
    let Some(template) = probe_from(case, format)? else { return is_refused(case, format) };
    let finished = case.run_template(with(template, "print from where it lies")).await?;
    finished.exited(0)?;
    same_bytes("what the program was told to print", &finished.log.stdout, b"from where it lies\n")
}

/// The template that runs the probe from an image in the format; `None` where the executor does not declare it.
fn probe_from(case: &Case, format: ImageFormat) -> CaseResult<Option<JobTemplate>> {
    let capability = format.capability();
    if !case.has(capability) {
        return Ok(None);
    }
    let template = case.harness.probe_from(format).ok_or_else(|| {
        Halt::broken(format!(
            "the executor declares {capability}, and the harness has no image to prove it; see Harness::probe_from"
        ))
    })?;
    let found = template.image.local().map(LocalImage::format);
    same("the format of the image that the harness gives", found, Some(format))?;
    Ok(Some(template))
}

fn with(mut template: JobTemplate, instruction: &str) -> JobTemplate {
    template.args.push(instruction.to_owned());
    template
}

/// An image in the format that lies where no operator allows it.
fn image_of_nobody(format: ImageFormat) -> CaseResult<ImageSource> {
    Ok(format!("{}:/kit/image/of/nobody", format.scheme()).parse()?)
}

/// Requires that an image in a format that is not declared is refused by its name, before the executor is asked.
fn is_refused(case: &Case, format: ImageFormat) -> CaseResult {
    let mut template = case.template(["exit 0"]);
    template.image = image_of_nobody(format)?;
    undeclared(case, &template, format.capability())?;
    let (named, answer) = (template.image.to_string(), case.plan(template));
    let error = refused("an image in a format that is not declared", answer, &[ErrorKind::Unsupported])?;
    holds(error.to_string().contains(&named), format!("the refusal names {named}; found {error}"))
}

/// The templates that run the probe from an image in a format that is declared. The others are refused.
fn probes(case: &Case) -> CaseResult<Vec<(ImageFormat, JobTemplate)>> {
    let mut probes = Vec::new();
    for format in ImageFormat::ALL {
        match probe_from(case, format)? {
            Some(template) => probes.push((format, template)),
            None => is_refused(case, format)?,
        }
    }
    Ok(probes)
}

/// What only the place can know is told when it looks: by the plan, or at the latest by the launch.
async fn that_are_not_there_are_told_as_that(case: &Case) -> CaseResult {
    for (format, mut template) in probes(case)? {
        let path = template.image.local().map(LocalImage::path).unwrap_or_default();
        let beside = path.rsplit_once('/').map(|(folder, _)| folder).unwrap_or_default();
        template.image = format!("{}:{beside}/no-such-image", format.scheme()).parse()?;
        let what = format!("a launch of {}, which is not there", template.image);
        match case.request(template) {
            Ok(request) => {
                refused(&what, case.launch_request(request.clone()).await, &[ErrorKind::ImageUnavailable])?;
                case.nothing_of(&request).await?;
            }
            Err(error) => drop(refused(&what, Err::<(), _>(error), &[ErrorKind::ImageUnavailable])?),
        }
    }
    Ok(())
}

async fn outside_of_the_allowed_folders_are_refused_by_the_plan(case: &Case) -> CaseResult {
    for (format, mut template) in probes(case)? {
        template.image = image_of_nobody(format)?;
        let named = template.image.to_string();
        let what = "an image that lies where the operator has not allowed it";
        let text = refused(what, case.plan(template), &[ErrorKind::Unsupported])?.to_string();
        let told = text.contains(&named) && text.contains("image_folders");
        holds(told, format!("the refusal names {named} and allow.image_folders; found {text}"))?;
    }
    Ok(())
}

/// A file that one job writes is not there for the next one.
async fn are_not_changed_by_what_runs_in_them(case: &Case) -> CaseResult {
    for (_, template) in probes(case)? {
        let image = template.image.to_string();
        case.run_template(with(template.clone(), "write /written-by-the-kit it")).await?;
        let second = case.run_template(with(template, "read /written-by-the-kit")).await?;
        let what = format!("the exit of a job that reads what an earlier one wrote into {image}");
        same(&what, second.termination().exit_code, CAN_NOT_READ)?;
    }
    Ok(())
}

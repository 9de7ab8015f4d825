//! The image `rekollect` in a container that lives as long as the test.

use aws_sdk_rekognition::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::Image,
};
use testcontainers::{
    GenericImage, ImageExt,
    core::{IntoContainerPort, WaitFor},
    runners::AsyncRunner,
};

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

#[tokio::test]
async fn a_person_is_found_again() -> Result {
    // The server's first line on standard output: the weights are loaded and the port is open.
    let container = GenericImage::new("rekollect", "latest")
        .with_exposed_port(7350.tcp())
        .with_wait_for(WaitFor::message_on_stdout("rekollect ready: "))
        .with_env_var("REKOLLECT_AUTH", "open")
        .start()
        .await?;
    let url = format!("http://{}:{}", container.get_host().await?, container.get_host_port_ipv4(7350.tcp()).await?);
    let config = aws_sdk_rekognition::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url)
        // Plain HTTP: the container is on this machine.
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = Client::from_conf(config);

    let photo = Image::builder().bytes(Blob::new(std::fs::read(std::env::var("PHOTO")?)?)).build();
    client.create_collection().collection_id("people").send().await?;
    client.index_faces().collection_id("people").image(photo.clone()).external_image_id("ada").send().await?;
    let found = client.search_faces_by_image().collection_id("people").image(photo).send().await?;
    let names: Vec<_> = found.face_matches().iter().filter_map(|found| found.face()?.external_image_id()).collect();
    assert_eq!(names, ["ada"]);
    Ok(())
}
